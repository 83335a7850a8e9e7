package simfs

import (
	"maps"
	"sync"

	"github.com/bobbinmail/bobbin/netfs"
)

// memory is the disk of a simulated computer.
type memory struct {
	mu    sync.Mutex
	texts map[string]string
}

var _ netfs.Memory = (*memory)(nil)

func (m *memory) Recall(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.texts[name]
}

func (m *memory) Remember(name, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.texts[name] = text
}

// copyMemory copies a simulated disk; a test's own memory is shared.
func copyMemory(of netfs.Memory) netfs.Memory {
	m, ok := of.(*memory)
	if !ok {
		return of
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{texts: maps.Clone(m.texts)}
}
