// A Go server that leaves when it is quiet, as careful Go programs do it: http.Server.ConnState tells which connections
// have something to do, a timer runs while none has, and then Shutdown closes the idle ones and waits for the rest.
// systemd passes the listener as descriptor 3. Standard library only.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// quiet counts the connections that have something to do: new ones, and those with a request.
type quiet struct {
	mutex sync.Mutex
	busy  map[net.Conn]struct{}
	timer *time.Timer
	after time.Duration
}

func (q *quiet) follow(conn net.Conn, state http.ConnState) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		q.busy[conn] = struct{}{}
		q.timer.Stop()
	default: // idle, closed or in other hands
		delete(q.busy, conn)
		if len(q.busy) == 0 {
			q.timer.Reset(q.after)
		}
	}
}

// isOver looks again when the timer has fired: a request may have come meanwhile.
func (q *quiet) isOver() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return len(q.busy) == 0
}

func echo(answer http.ResponseWriter, request *http.Request) {
	answer.Header().Set("Location", "/got/"+strings.TrimPrefix(request.URL.Path, "/echo/"))
	answer.WriteHeader(http.StatusPermanentRedirect)
}

func main() {
	after := flag.Duration("after", 30*time.Second, "leave after this much quiet")
	flag.Parse()
	listener, err := net.FileListener(os.NewFile(3, "web"))
	if err != nil {
		log.Fatalf("no socket from systemd: %v", err)
	}
	q := &quiet{busy: map[net.Conn]struct{}{}, timer: time.NewTimer(*after), after: *after}
	server := &http.Server{Handler: http.HandlerFunc(echo), ConnState: q.follow, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	for {
		<-q.timer.C
		if q.isOver() {
			break
		}
	}
	limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		log.Fatal(err)
	}
}
