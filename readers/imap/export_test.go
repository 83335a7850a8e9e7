package imap

// Match is for tests.
var Match = match

// WithoutExtensions is for tests.
var WithoutExtensions = withoutExtensions
