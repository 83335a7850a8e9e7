package locking

import "context"

// Sem is a lock among the goroutines of one process whose waiters can give
// up. The zero value is not usable; take one from [NewSem].
type Sem struct{ c chan struct{} }

// NewSem returns a free lock.
func NewSem() *Sem { return &Sem{make(chan struct{}, 1)} }

// Lock waits until the lock is free or ctx ends, and returns the function
// that frees it; that function must be called exactly once.
func (s *Sem) Lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case s.c <- struct{}{}:
		return s.unlock, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// LockOr is Lock, but returns nil and no error as soon as done is closed.
func (s *Sem) LockOr(ctx context.Context, done <-chan struct{}) (unlock func(), err error) {
	select {
	case <-done:
		return nil, nil
	default:
	}
	select {
	case s.c <- struct{}{}:
		return s.unlock, nil
	case <-done:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Sem) unlock() { <-s.c }
