// Package forward knows what a user's .forward says and does it: mail goes on to
// addresses, commands, mboxes and Maildirs. Whether a .forward may be trusted, who
// runs it, and what its addresses mean is the caller's business.
package forward
