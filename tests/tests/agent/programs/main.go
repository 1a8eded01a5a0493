// A net/http server and a client that asks it.
package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

func serve(address string) error {
	http.HandleFunc("/items/", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		io.WriteString(w, "second")
	})
	http.HandleFunc("/none", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	return http.ListenAndServe(address, nil)
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
	role, address := os.Args[1], os.Args[2]
	if role == "serve" {
		panic(serve(address))
	}
	base := "http://" + address
	client := &http.Client{}
	var group sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 100; i++ {
				ask(client, "GET", base+"/items/17", "")
			}
			for i := 0; i < 10; i++ {
				ask(client, "POST", base+"/items/17", strings.Repeat("x", 70000))
				ask(client, "HEAD", base+"/items/17", "")
				ask(client, "GET", base+"/none", "")
				ask(client, "GET", base+"/missing", "")
			}
		}()
	}
	group.Wait()
}
