// gRPC over grpc-go: a service of every kind of call, and a client that makes them.
//
//	calls serve ADDRESS [CERTIFICATE KEY]
//	calls ask ADDRESS TIMES [CERTIFICATE]
package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Messages are bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error { *v.(*[]byte) = append([]byte(nil), b...); return nil }
func (raw) Name() string                    { return "raw" }

func unary(answer func(context.Context, []byte) ([]byte, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var request []byte
		if err := decode(&request); err != nil {
			return nil, err
		}
		out, err := answer(ctx, request)
		return &out, err
	}
}

func list(_ any, stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	for i := 0; i < 5; i++ {
		if err := stream.SendMsg(&request); err != nil {
			return err
		}
	}
	return nil
}

func endless(_ any, stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	for stream.SendMsg(&request) == nil {
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func collect(_ any, stream grpc.ServerStream) error {
	total := 0
	for {
		var request []byte
		err := stream.RecvMsg(&request)
		if err == io.EOF {
			answer := []byte(strconv.Itoa(total))
			return stream.SendMsg(&answer)
		} else if err != nil {
			return err
		}
		total += len(request)
	}
}

func chat(_ any, stream grpc.ServerStream) error {
	for {
		var request []byte
		if err := stream.RecvMsg(&request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&request); err != nil {
			return err
		}
	}
}

func say(_ context.Context, request []byte) ([]byte, error) { return request, nil }

func missing(context.Context, []byte) ([]byte, error) {
	return nil, status.Error(codes.NotFound, "no such thing")
}

func wait(ctx context.Context, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

var service = grpc.ServiceDesc{
	ServiceName: "lab.Calls",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Say", Handler: unary(say)},
		{MethodName: "Missing", Handler: unary(missing)},
		{MethodName: "Wait", Handler: unary(wait)},
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "List", Handler: list, ServerStreams: true},
		{StreamName: "Endless", Handler: endless, ServerStreams: true},
		{StreamName: "Collect", Handler: collect, ClientStreams: true},
		{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true},
	},
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func serve(address string, files []string) {
	options := []grpc.ServerOption{grpc.ForceServerCodec(raw{})}
	if len(files) > 0 {
		credentials, err := credentials.NewServerTLSFromFile(files[0], files[1])
		must(err)
		options = append(options, grpc.Creds(credentials))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&service, nil)
	listener, err := net.Listen("tcp", address)
	must(err)
	must(server.Serve(listener))
}

type client struct{ *grpc.ClientConn }

func (c client) unary(ctx context.Context, name string, request []byte) ([]byte, error) {
	var answer []byte
	return answer, c.Invoke(ctx, "/lab.Calls/"+name, &request, &answer)
}

// Sends so many messages, and receives until the end or `most` have come.
func (c client) stream(name string, request []byte, send, most int) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	kind := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := c.NewStream(ctx, kind, "/lab.Calls/"+name)
	must(err)
	for i := 0; i < send; i++ {
		must(stream.SendMsg(&request))
	}
	must(stream.CloseSend())
	for received := 0; ; received++ {
		if received == most {
			return received
		}
		var answer []byte
		if err := stream.RecvMsg(&answer); err == io.EOF {
			return received
		} else {
			must(err)
		}
	}
}

func expect(err error, code codes.Code) {
	if status.Code(err) != code {
		panic(err)
	}
}

func (c client) all(request []byte) {
	background := context.Background()
	_, err := c.unary(background, "Say", request)
	must(err)
	if c.stream("List", request, 1, 100) != 5 || c.stream("Collect", request, 4, 100) != 1 ||
		c.stream("Chat", request, 3, 100) != 3 {
		panic("other messages than were sent")
	}
	_, err = c.unary(background, "Missing", request)
	expect(err, codes.NotFound)
	_, err = c.unary(background, "Nothing", request)
	expect(err, codes.Unimplemented)
	soon, cancel := context.WithTimeout(background, 100*time.Millisecond)
	_, err = c.unary(soon, "Wait", request)
	expect(err, codes.DeadlineExceeded)
	cancel()
	c.stream("Endless", request, 1, 2)
}

func ask(address string, times int, encrypted bool) {
	transport := insecure.NewCredentials()
	if encrypted {
		transport = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	must(err)
	c := client{connection}
	for i := 0; i < times; i++ {
		c.all([]byte(strings.Repeat("x", 10+i)))
	}
	large := []byte(strings.Repeat("y", 200000))
	_, err = c.unary(context.Background(), "Say", large)
	must(err)
	time.Sleep(200 * time.Millisecond)
	must(connection.Close())
}

func main() {
	if os.Args[1] == "serve" {
		serve(os.Args[2], os.Args[3:])
	}
	times, err := strconv.Atoi(os.Args[3])
	must(err)
	ask(os.Args[2], times, len(os.Args) > 4)
}
