"""The engines that people would use instead, each in a module of the shape `lsr.eval.bench.engine.Engine`."""
