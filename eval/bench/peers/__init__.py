"""Other engines, each in a module of the shape `lsr.eval.bench.engine.Engine`."""
