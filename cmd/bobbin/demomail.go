package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/emersion/go-message/mail"
)

var (
	demoPeople = []string{
		"Ada Lovelace", "Grace Hopper", "Jürgen Groß", "Łukasz Żak", "María Núñez", "田中 花子",
		"Alan Turing", "Olga Петрова", "O'Brien, Pat", "Mail Delivery System",
	}
	demoSubjects = []string{
		"Minutes of Monday's meeting", "Re: Re: the printer on the second floor", "Grüße aus Köln",
		"Your order 4711 has shipped", "Invoice 2026-1123", "Заметки к докладу", "Fwd: photos", "[list] weekly digest",
		"Lunch?", "予定の確認", "Backup report: 0 errors", "A subject that is so long that it has to be folded onto a second line of the header",
	}
	demoWords = strings.Fields(`the a of to and in that we it for on with as this have from by not are but
		spool share host mailbox message folder server lock rename delivery reader commit log name file directory
		tomorrow Monday please thanks regards meeting draft version list attached question answer maybe übrigens`)
)

// demoMail writes a message such as people get, with CRLF line ends.
func demoMail(r *rand.Rand, id string, when time.Time) ([]byte, error) {
	var h mail.Header
	from := demoPeople[r.IntN(len(demoPeople))]
	h.SetDate(when.Add(-time.Duration(r.IntN(3600)) * time.Second))
	h.SetSubject(demoSubjects[r.IntN(len(demoSubjects))])
	h.SetAddressList("From", []*mail.Address{{Name: from, Address: fmt.Sprintf("user%d@example.org", r.IntN(50))}})
	h.SetAddressList("To", []*mail.Address{{Name: "List", Address: "list@example.net"}})
	h.SetMessageID(id + "@demo.example")
	h.Add("Received", fmt.Sprintf("from mx%d.example.net by demo.example; %s", r.IntN(9), when.Format(time.RFC1123Z)))
	var b bytes.Buffer
	w, err := mail.CreateWriter(&b, h)
	if err != nil {
		return nil, err
	}
	if err := demoText(w, r); err != nil {
		return nil, err
	}
	if r.IntN(5) == 0 {
		if err := demoAttachment(w, r); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// demoText writes the text as plain text and as HTML.
func demoText(w *mail.Writer, r *rand.Rand) error {
	text := demoProse(r, 5+r.IntN(120))
	inline, err := w.CreateInline()
	if err != nil {
		return err
	}
	for _, part := range [][2]string{{"text/plain", text}, {"text/html", "<p>" + text + "</p>\r\n"}} {
		var h mail.InlineHeader
		h.SetContentType(part[0], map[string]string{"charset": "utf-8"})
		h.Set("Content-Transfer-Encoding", "quoted-printable")
		p, err := inline.CreatePart(h)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(p, part[1]); err != nil {
			return err
		}
		if err := p.Close(); err != nil {
			return err
		}
	}
	return inline.Close()
}

func demoProse(r *rand.Rand, lines int) string {
	var b strings.Builder
	for range lines {
		for range 8 + r.IntN(6) {
			b.WriteString(demoWords[r.IntN(len(demoWords))])
			b.WriteByte(' ')
		}
		b.WriteString("\r\n")
	}
	return b.String()
}

func demoAttachment(w *mail.Writer, r *rand.Rand) error {
	var h mail.AttachmentHeader
	h.SetContentType("image/jpeg", nil)
	h.SetFilename(fmt.Sprintf("IMG_%04d.jpg", r.IntN(10000)))
	p, err := w.CreateAttachment(h)
	if err != nil {
		return err
	}
	data := make([]byte, 2000+r.IntN(40000))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	_, err = p.Write(data)
	return errors.Join(err, p.Close())
}
