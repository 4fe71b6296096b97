"""The models that the engine is measured on, and the step: ROWS sequences of TIME tokens."""
ROWS, TIME, VOCAB = 8, 256, 32000
MODELS = {  # hidden, MLP, heads, layers, vocabulary
    "demo": (96, 256, 4, 8, 1024), "9m": (128, 352, 4, 4, VOCAB), "71m": (512, 1368, 8, 12, VOCAB), "130m": (768, 2048, 12, 12, VOCAB)}
