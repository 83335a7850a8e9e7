// Package delivery brings messages into mailboxes.
//
// A message for several users is delivered to all of them or to none: it is
// written and made durable for each before it becomes visible to the first
// ([Deliver] has the details). What a retry of the same message does is part
// of the contract.
package delivery
