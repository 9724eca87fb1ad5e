"""What is known in plain sentences, and how it is known, from the facts of `mdnwatch.explain`; pure but for `show`."""
