package commitlog

// FakeNext returns what a slot would hold that a host put on top of l's last
// record.
func (l *Log) FakeNext(op string) string {
	return newRecord(Record{
		Seq: l.at.seq + 1, Token: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Writer: "old", Prev: l.at.hash, Ops: []string{op},
	}).line
}
