// copy WAY SOURCE DESTINATION
package main

import (
	"io"
	"os"
)

// Hides the methods by which io.Copy would have the kernel copy.
type plain struct{ io.Writer }

func main() {
	from, err := os.Open(os.Args[2])
	if err != nil {
		panic(err)
	}
	to, err := os.Create(os.Args[3])
	if err != nil {
		panic(err)
	}
	if os.Args[1] == "copy" {
		_, err = io.Copy(to, from)
	} else {
		_, err = io.CopyBuffer(plain{to}, struct{ io.Reader }{from}, make([]byte, 65536))
	}
	if err != nil {
		panic(err)
	}
}
