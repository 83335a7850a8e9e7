// Package server is the frame of the protocol servers: listeners, limits,
// time-outs and an orderly end. A protocol is a function that talks to one
// client through a [Conn]; it knows nothing of sockets and signals.
package server
