// Package sasl has the servers' side of SASL mechanisms (RFC 4422), shared by
// all protocols that log clients in.
//
// The mechanisms of github.com/emersion/go-sasl are not used: its PLAIN is as
// short as ours, and its OAUTHBEARER panics when a client that was refused
// answers with an empty line.
package sasl
