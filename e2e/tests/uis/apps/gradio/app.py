import sys

import gradio as gr

demo = gr.Interface(lambda name: f"Hello {name}!", gr.Textbox(label="Name"), gr.Textbox(label="Greeting"))
demo.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), root_path=(sys.argv[2:] or [""])[0])
