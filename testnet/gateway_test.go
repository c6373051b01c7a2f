package testnet

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// A program that waits for the file of a gateway finds no half of it.
func TestTheFileOfAGatewayComesWhenItAnswers(t *testing.T) {
	net := &Testnet{Dir: t.TempDir(), command: Command{Program: "/bin/true"}}
	g, err := net.StartGateway()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(net.GatewayFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there before the gateway answers: %v", err)
	}
	g.AccessKey = "a key"
	if err := net.SaveGateway(g); err != nil {
		t.Fatal(err)
	}
	// The next one has the same ports, and the file of the last one.
	if again, err := net.StartGateway(); err != nil || again != g {
		t.Errorf("%+v, want %+v: %v", again, g, err)
	}
}
