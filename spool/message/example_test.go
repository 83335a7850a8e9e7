package message_test

import (
	"fmt"
	"io"
	"strings"

	"github.com/bobbinmail/bobbin/spool/message"
)

const mail = "From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.org>\n" +
	"Content-Type: multipart/mixed; boundary=b\n" +
	"\n" +
	"--b\n" +
	"Content-Type: text/plain; charset=iso-8859-1\n" +
	"Content-Transfer-Encoding: quoted-printable\n" +
	"\n" +
	"gr=FC=DFe\n" +
	"--b--\n"

// A message is scanned while it is copied; its parts are read afterwards.
func ExampleScanner() {
	var s message.Scanner
	var stored strings.Builder
	io.Copy(io.MultiWriter(&stored, &s), strings.NewReader(mail))
	m := s.Finish()

	fmt.Println("size on the wire:", m.WireLen())
	share := strings.NewReader(stored.String())
	for i := range m.Entities {
		e := &m.Entities[i]
		fmt.Printf("%d %s/%s header %d body %d\n", e.Depth, e.Type, e.Subtype, e.Header.Len(), e.Body.Len())
	}
	text, _ := io.ReadAll(m.Entities[1].Text(share))
	fmt.Printf("%s\n", text)
	// Output:
	// size on the wire: 210
	// 0 multipart/mixed header 91 body 110
	// 1 text/plain header 90 body 9
	// grüße
}

func ExampleHeader() {
	h := message.Header(mail)
	for _, a := range h.Addresses("from") {
		fmt.Println(a.Name(), a.Addr())
	}
	fmt.Println(h.MediaType().Params.Get("boundary"))
	// Output:
	// Jörg joerg@example.org
	// b
}
