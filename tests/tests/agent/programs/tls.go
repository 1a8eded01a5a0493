// A net/http server and a client that asks it, inside TLS, by HTTP/1.1.
package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

type protocols = map[string]func(*http.Server, *tls.Conn, http.Handler)

func serve(address, certificate, key string) error {
	http.HandleFunc("/items/", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		io.WriteString(w, "second")
	})
	server := &http.Server{Addr: address, TLSNextProto: protocols{}}
	return server.ListenAndServeTLS(certificate, key)
}

func ask(client *http.Client, method, url, body string) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	response, err := client.Do(request)
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
}

func main() {
	if os.Args[1] == "serve" {
		panic(serve(os.Args[2], os.Args[3], os.Args[4]))
	}
	time.Sleep(2 * time.Second)
	config := &tls.Config{InsecureSkipVerify: true}
	for connection := 0; connection < 4; connection++ {
		transport := &http.Transport{TLSClientConfig: config}
		client := &http.Client{Transport: transport}
		for i := 0; i < 50; i++ {
			ask(client, "GET", os.Args[2]+"/items/17", "")
		}
		for i := 0; i < 5; i++ {
			ask(client, "POST", os.Args[2]+"/items/17", strings.Repeat("x", 70000))
			ask(client, "GET", os.Args[2]+"/missing", "")
		}
		transport.CloseIdleConnections()
	}
}
