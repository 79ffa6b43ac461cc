import os
import sys

from dash import Dash, Input, Output, dcc, html

app = Dash(__name__, suppress_callback_exceptions=True, **({"url_base_pathname": sys.argv[2] + "/"} if len(sys.argv) > 2 else {}))
app.layout = html.Div([dcc.Location(id="at"), html.Nav(dcc.Link("greeting", href=app.get_relative_path("/greeting"))), html.Div(id="page")])


@app.callback(Output("page", "children"), Input("at", "pathname"))
def page(path):
    if app.strip_relative_path(path or "/") == "greeting":
        return [dcc.Input(id="name", value=""), html.P(id="greeting")]
    return html.P("home")


@app.callback(Output("greeting", "children"), Input("name", "value"))
def greet(name):
    return f"Hello {name}!"


app.run(host="127.0.0.1", port=int(sys.argv[1]))
