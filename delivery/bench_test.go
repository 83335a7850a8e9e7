package delivery_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/delivery"
)

func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{2 << 10, 20 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dK", size>>10), func(b *testing.B) {
			s, _ := newSpool(b, "alice")
			text := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcd\r\n", size/16)
			e := delivery.Envelope{Sender: "joe@example.org", Users: []string{"alice"}}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			before := s.Host.Ops.Read()
			for b.Loop() {
				if err := delivery.Deliver(b.Context(), s, e, strings.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.Host.Ops.Read().Sub(before).Total())/float64(b.N), "serverops/op")
		})
	}
}
