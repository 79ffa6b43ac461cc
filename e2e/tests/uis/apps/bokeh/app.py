from bokeh.io import curdoc
from bokeh.layouts import column
from bokeh.models import Div, TextInput

name = TextInput(title="Name")
greeting = Div()
name.on_change("value", lambda attr, old, new: greeting.update(text=f"Hello {new}!"))
curdoc().add_root(column(name, greeting))
