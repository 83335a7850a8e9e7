package message

import (
	"strconv"
	"strings"
	"time"
)

// ParseDate reads the value of a Date field (RFC 5322, section 3.3, with its
// obsolete forms) and what is found in its place: the order of ctime, ISO
// 8601, missing parts of the time, zones by name. An unknown or missing zone
// counts as UTC. A value without day, month and year gives the zero time. The
// result does not depend on the local time zone.
func ParseDate(value string) time.Time {
	var d dateParts
	value = value[:min(len(value), maxDate)]
	for value = skipSpace(value); value != ""; value = skipSpace(value) {
		i := strings.IndexAny(value, " \t\r\n,(")
		switch i {
		case 0:
			value = value[1:]
			continue
		case -1:
			i = len(value)
		}
		d.word(value[:i])
		value = value[i:]
	}
	return d.time()
}

// maxDate is how much of a Date field is looked at.
const maxDate = 256

type dateParts struct {
	year, day  int
	month      time.Month
	hasYear    bool
	hasTime    bool
	hour       int
	min, sec   int
	hasZone    bool
	offset     int // seconds east of UTC
	afternoon  bool
	beforeNoon bool
}

func (d *dateParts) time() time.Time {
	if !d.hasYear || d.month == 0 || d.day == 0 {
		return time.Time{}
	}
	switch {
	case d.afternoon && d.hour < 12:
		d.hour += 12
	case d.beforeNoon && d.hour == 12:
		d.hour = 0
	}
	zone := time.UTC
	if d.offset != 0 {
		zone = time.FixedZone("", d.offset)
	}
	return time.Date(d.year, d.month, d.day, d.hour, d.min, d.sec, 0, zone)
}

// word takes one word of the date and finds out which part it is.
func (d *dateParts) word(w string) {
	c := w[0]
	switch {
	case (c == '+' || c == '-') && d.hasTime:
		d.zone(w)
	case '0' <= c && c <= '9':
		if date, clock, ok := cutISO(w); ok {
			d.dashed(date)
			d.clock(clock)
		} else if strings.ContainsRune(w, ':') {
			d.clock(w)
		} else if strings.ContainsAny(w, "-/") {
			d.dashed(w)
		} else {
			d.number(strings.TrimRight(w, "."))
		}
	default:
		d.name(w)
	}
}

// cutISO takes apart a word such as 2024-02-29T12:00:00Z (RFC 3339).
func cutISO(w string) (date, clock string, ok bool) {
	if len(w) < 16 || w[4] != '-' || w[10]|0x20 != 't' {
		return "", "", false
	}
	return w[:10], w[11:], true
}

// dashed takes 29-Feb-2024, 2024-02-29 or 2024/02/29.
func (d *dateParts) dashed(w string) {
	parts := strings.FieldsFunc(w, func(r rune) bool { return r == '-' || r == '/' })
	if len(parts) != 3 {
		return
	}
	if month := monthNamed(parts[1]); month != 0 {
		d.month = month
		d.number(parts[0])
		d.number(parts[2])
		return
	}
	year, err1 := strconv.Atoi(parts[0])
	month, err2 := strconv.Atoi(parts[1])
	day, err3 := strconv.Atoi(parts[2])
	if err1 == nil && err2 == nil && err3 == nil && len(parts[0]) == 4 && 1 <= month && month <= 12 && 1 <= day && day <= 31 {
		d.year, d.hasYear, d.month, d.day = year, true, time.Month(month), day
	}
}

// clock takes hh:mm[:ss], with a zone or AM or PM behind it.
func (d *dateParts) clock(w string) {
	if d.hasTime {
		return
	}
	i := 0
	for i < len(w) && ('0' <= w[i] && w[i] <= '9' || w[i] == ':') {
		i++
	}
	var n [3]int
	parts := strings.Split(w[:i], ":")
	if len(parts) < 2 || len(parts) > 3 {
		return
	}
	for k, part := range parts {
		v, err := strconv.Atoi(part)
		if err != nil {
			return
		}
		n[k] = v
	}
	if n[0] > 23 || n[1] > 59 || n[2] > 60 {
		return
	}
	d.hasTime, d.hour, d.min, d.sec = true, n[0], n[1], n[2]
	rest := w[i:]
	if strings.HasPrefix(rest, ".") {
		rest = strings.TrimLeft(rest[1:], "0123456789")
	}
	if rest != "" {
		if rest[0] == '+' || rest[0] == '-' {
			d.zone(rest)
		} else {
			d.name(rest)
		}
	}
}

// number takes a bare number: the day comes first, then the year (RFC 5322,
// section 4.3 for years of two and three digits).
func (d *dateParts) number(w string) {
	n, err := strconv.Atoi(w)
	if err != nil || n < 0 {
		return
	}
	switch {
	case d.day == 0 && len(w) <= 2 && 1 <= n && n <= 31:
		d.day = n
	case d.hasYear:
	case len(w) == 2 && n < 50:
		d.year, d.hasYear = 2000+n, true
	case len(w) <= 3 && (d.day != 0 || len(w) == 3):
		d.year, d.hasYear = 1900+n, true
	case len(w) == 4:
		d.year, d.hasYear = n, true
	}
}

// name takes a month, a zone, AM or PM. Weekdays fall through.
func (d *dateParts) name(w string) {
	if i := strings.IndexAny(w, "+-"); i > 0 {
		d.name(w[:i])
		if d.hasZone || d.hasTime {
			d.hasZone = false
			d.zone(w[i:])
		}
		return
	}
	lower := strings.ToLower(strings.Trim(w, ".\"'"))
	if offset, ok := zones[lower]; ok && !d.hasZone {
		d.hasZone, d.offset = true, offset*60
		return
	}
	switch lower {
	case "am":
		d.beforeNoon = true
		return
	case "pm":
		d.afternoon = true
		return
	}
	if month := monthNamed(lower); month != 0 && d.month == 0 {
		d.month = month
	}
}

func monthNamed(s string) time.Month {
	if len(s) < 3 {
		return 0
	}
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	i := strings.Index(names, strings.ToLower(s[:3]))
	if i < 0 || i%3 != 0 {
		return 0
	}
	return time.Month(i/3 + 1)
}

// zone takes +hhmm, +hh:mm or +hh.
func (d *dateParts) zone(w string) {
	if d.hasZone {
		return
	}
	digits := strings.ReplaceAll(w[1:], ":", "")
	if len(digits) == 2 {
		digits += "00"
	}
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 4 || n/100 > 23 || n%100 > 59 || n < 0 {
		return
	}
	d.hasZone, d.offset = true, (n/100*60+n%100)*60
	if w[0] == '-' {
		d.offset = -d.offset
	}
}

// zones has the zones of RFC 5322, section 4.3 and the common ones among the
// others, in minutes east of UTC. The military letters mean nothing, but Z.
var zones = map[string]int{
	"z": 0, "ut": 0, "utc": 0, "gmt": 0, "wet": 0,
	"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
	"akst": -540, "akdt": -480, "hst": -600,
	"bst": 60, "west": 60, "cet": 60, "met": 60, "mez": 60, "cest": 120, "mest": 120, "mesz": 120,
	"eet": 120, "eest": 180, "msk": 180, "jst": 540, "kst": 540,
	"aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780,
}
