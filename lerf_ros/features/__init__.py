"""Images and phrases to language and dense features; knows no field."""
