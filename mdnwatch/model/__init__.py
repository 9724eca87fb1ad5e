"""The words of mdnwatch as values: reports, evidence, state, events; pure, without I/O."""
