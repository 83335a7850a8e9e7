// Package locking holds Bobbin's locks. They are for efficiency and for old
// conventions, never for the correctness of the spool's own format.
package locking
