import sys

from nicegui import ui


@ui.page("/")
def page():
    ui.input("Name", on_change=lambda event: greeting.set_text(f"Hello {event.value}!"))
    greeting = ui.label()


ui.run(host="127.0.0.1", port=int(sys.argv[1]), reload=False, show=False)
