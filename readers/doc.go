// Package readers holds what the programs that show mail have in common: a
// summary of a message for lists, its text for a terminal, and a writer that
// lets nothing through by which mail could command the terminal.
package readers
