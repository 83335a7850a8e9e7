// Package readers holds what the programs that show mail have in common: a
// message's text for a terminal, and a writer that lets nothing through by
// which mail could command the terminal.
package readers
