//! The UIs, by name.

use crate::recipe::Recipe;

#[path = "apps/bokeh.rs"]
mod bokeh;
#[path = "apps/dash.rs"]
mod dash;
#[path = "apps/datasette.rs"]
mod datasette;
#[path = "apps/django.rs"]
mod django;
#[path = "apps/gradio.rs"]
mod gradio;
#[path = "apps/locust.rs"]
mod locust;
#[path = "apps/marimo.rs"]
mod marimo;
#[path = "apps/nicegui.rs"]
mod nicegui;
#[path = "apps/node_red.rs"]
mod node_red;
#[path = "apps/notebook.rs"]
mod notebook;
#[path = "apps/prometheus.rs"]
mod prometheus;
#[path = "apps/streamlit.rs"]
mod streamlit;
#[path = "apps/transmission.rs"]
mod transmission;
#[path = "apps/verdaccio.rs"]
mod verdaccio;

pub fn all() -> Vec<Recipe> {
    vec![
        bokeh::recipe(),
        dash::recipe(),
        datasette::recipe(),
        django::recipe(),
        gradio::recipe(),
        locust::recipe(),
        marimo::recipe(),
        nicegui::recipe(),
        node_red::recipe(),
        notebook::recipe(),
        prometheus::recipe(),
        streamlit::recipe(),
        transmission::recipe(),
        verdaccio::recipe(),
    ]
}
