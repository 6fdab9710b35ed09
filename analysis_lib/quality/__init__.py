"""Whether returns can be trusted: indices, their distribution among honest answers, and flags that remove nothing."""
