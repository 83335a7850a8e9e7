package readers_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/bobbinmail/bobbin/readers"
)

func ExampleText() {
	const mail = "From: joe@example.org\nSubject: =?utf-8?Q?gr=C3=BC=C3=9Fe?=\n\nHello \x1b[31mworld.\n"
	if err := readers.Text(os.Stdout, strings.NewReader(mail), int64(len(mail)), readers.TextOptions{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// From: joe@example.org
	// Subject: grüße
	//
	// Hello �[31mworld.
}
