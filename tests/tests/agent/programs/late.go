// Answers inside TLS, each in a call of Write that returns after the connection was closed.
package main

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"os"
)

// A connection whose writes of answers return once it was closed.
type slow struct {
	net.Conn
	answers         bool
	written, closed chan struct{}
}

func (s *slow) Write(bytes []byte) (int, error) {
	count, err := s.Conn.Write(bytes)
	if s.answers {
		s.written <- struct{}{}
		<-s.closed
	}
	return count, err
}

func serve(carrier *slow, config *tls.Config) error {
	session := tls.Server(carrier, config)
	if _, err := http.ReadRequest(bufio.NewReader(session)); err != nil {
		return err
	}
	carrier.answers = true
	done := make(chan error)
	go func() {
		_, err := session.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"))
		done <- err
	}()
	<-carrier.written
	session.Close()
	close(carrier.closed)
	return <-done
}

func main() {
	certificate, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	if err != nil {
		panic(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		// The first one is looked at and left by whoever waits for the server.
		go serve(&slow{Conn: connection, written: make(chan struct{}), closed: make(chan struct{})}, config)
	}
}
