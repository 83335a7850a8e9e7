package spool

import (
	"slices"
	"strings"
)

// place is where a file is: "new", "cur" or holdDir, and its whole name there.
type place struct {
	dir, file string
	twice     bool // another file has the same base name
}

// tells reports whether the name says anything about flags: in new only if it
// has them at the end, which mutt does to flagged mail that is not read.
func (p place) tells() bool {
	base, _, _ := splitName(p.file)
	return p.dir == "cur" || base != p.file
}

// flags are those in the file's name.
func (p place) flags() Flags {
	_, letters, _ := splitName(p.file)
	f, _ := flagsOf(letters)
	return f
}

// shown says where a message's file was last seen, if it has a name that
// Bobbin gives: shownNew or shownCur with the flags in the name; 0 if not. A
// byte for each message is what a million of them can have.
type shown uint8

const (
	shownNew shown = 1 << 7
	shownCur shown = 1 << 6
)

func (s *state) curName(base, letters string) string { return base + s.separator + "2," + letters }

func (s *state) placeOf(base string, at shown) place {
	if at&shownNew != 0 {
		return place{dir: "new", file: base}
	}
	return place{dir: "cur", file: s.curName(base, Flags(at&^shownCur).Letters())}
}

// shownAs is the inverse of placeOf; 0 for a place that shown cannot say.
func (s *state) shownAs(base string, p place) shown {
	switch {
	case p.twice:
	case p.dir == "new" && p.file == base:
		return shownNew
	case p.dir == "cur" && len(p.file) > len(base)+len(s.separator) && p.file[:len(base)] == base && p.file[len(base):len(base)+len(s.separator)] == s.separator:
		info, ok := strings.CutPrefix(p.file[len(base)+len(s.separator):], "2,")
		if f, _ := flagsOf(info); ok && f.Letters() == info {
			return shownCur | shown(f)
		}
	}
	return 0
}

// place tells where the file of a base name was last seen.
func (s *state) place(base string) (place, bool) {
	if odd := s.odd[base]; len(odd) > 0 {
		p := odd[len(odd)-1]
		p.twice = len(odd) > 1
		return p, true
	}
	if uid, ok := s.byName.find(base, s.nameOf); ok {
		if _, i := s.find(uid); s.shown[i] != 0 {
			return s.placeOf(base, s.shown[i]), true
		}
	}
	return place{}, false
}

// setPlace notes the only place of a file.
func (s *state) setPlace(base string, p place) {
	s.dropPlace(base)
	s.addPlace(base, p)
}

// dropPlace forgets where a file is.
func (s *state) dropPlace(base string) {
	delete(s.odd, base)
	if uid, ok := s.byName.find(base, s.nameOf); ok {
		_, i := s.find(uid)
		s.shown[i] = 0
	}
}

// addPlace notes a place beside those that are known. It returns which of msgs
// has the name, or -2 if none.
func (s *state) addPlace(base string, p place) (i int) {
	uid, live := s.byName.find(base, s.nameOf)
	if !live {
		s.addOdd(base, p)
		return -2
	}
	_, i = s.find(uid)
	at := s.shownAs(base, p)
	switch {
	case s.shown[i] == 0 && len(s.odd[base]) == 0 && at != 0:
		s.shown[i] = at
	case s.shown[i] != 0:
		s.addOdd(base, s.placeOf(base, s.shown[i]), p)
		s.shown[i] = 0
	default:
		s.addOdd(base, p)
	}
	return i
}

// addOdd keeps copies: the names of a listing share large strings.
func (s *state) addOdd(base string, places ...place) {
	base = strings.Clone(base)
	for _, p := range places {
		p.file = strings.Clone(p.file)
		s.odd[base] = append(s.odd[base], p)
	}
}

// showNext is addPlace for a file in cur of the message msgs[i]. It does
// nothing if it is none of that message's, or not its only one.
func (s *state) showNext(i int, dir, file string) bool {
	if dir != "cur" || i < 0 || i >= len(s.msgs) || s.shown[i] != 0 {
		return false
	}
	base := s.msgs[i].Name
	at := s.shownAs(base, place{dir: dir, file: file})
	if at == 0 || len(s.odd[base]) > 0 {
		return false
	}
	s.shown[i] = at
	return true
}

// forgetPlaces forgets all files of a directory.
func (s *state) forgetPlaces(dir string) {
	bit := map[string]shown{"new": shownNew, "cur": shownCur}[dir]
	for i, at := range s.shown {
		if at&bit != 0 {
			s.shown[i] = 0
		}
	}
	for base, odd := range s.odd {
		rest := slices.DeleteFunc(odd, func(p place) bool { return p.dir == dir })
		switch len(rest) {
		case 0:
			delete(s.odd, base)
		case 1:
			s.setPlace(base, rest[0])
		default:
			s.odd[base] = rest
		}
	}
}

// sighting is what is known of where a base name's file is.
type sighting struct {
	msg   *Message // nil if no live message has the name
	dir   string
	flags Flags
	tells bool // see place.tells
	twice bool
}

// eachPlace calls f for every base name that has a place.
func (s *state) eachPlace(f func(base string, at sighting)) {
	for i, msg := range s.msgs {
		switch at := s.shown[i]; {
		case at&shownNew != 0:
			f(msg.Name, sighting{msg: msg, dir: "new"})
		case at != 0:
			f(msg.Name, sighting{msg: msg, dir: "cur", flags: Flags(at &^ shownCur), tells: true})
		}
	}
	for base := range s.odd {
		p, _ := s.place(base)
		f(base, sighting{s.named(base), p.dir, p.flags(), p.tells(), p.twice})
	}
}

// removeMessages takes messages out of the list; their files stay known.
func (s *state) removeMessages(gone UIDSet) {
	kept, at := make([]*Message, 0, len(s.msgs)), make([]shown, 0, len(s.msgs))
	seg := make([]*segmentFile, 0, len(s.msgs))
	for i, m := range s.msgs {
		if !gone.Contains(m.UID) {
			kept, at, seg = append(kept, m), append(at, s.shown[i]), append(seg, s.segmentOf[i])
			continue
		}
		s.segmentOf[i].lose()
		s.byName.remove(m.Name, m.UID)
		if s.shown[i] != 0 {
			s.odd[m.Name] = append(s.odd[m.Name], s.placeOf(m.Name, s.shown[i]))
		}
	}
	s.msgs, s.shown, s.segmentOf = kept, at, seg
}
