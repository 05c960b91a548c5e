// Load for `npm run bench -- renewals`: many callers over gRPC, in a process of its own that is not Node.
//
// The first line of stdin is a setup (JSON), each further line an order: {"method":"renew","calls":500}. Every order is
// answered with one line on stdout: {"calls":500,"micros":123456}. What an order needs (keys, PKCS#10 requests) is made
// before its clock starts. It ends when stdin does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// Setup says where the service is and who renews.
type Setup struct {
	Address string `json:"address"`
	// The roots of the cluster, PEM.
	Roots       string   `json:"roots"`
	ServerName  string   `json:"serverName"`
	TrustDomain string   `json:"trustDomain"`
	Callers     int      `json:"callers"`
	Devices     []Device `json:"devices"`
}

// Order is one turn of a bench.
type Order struct {
	// "check" (gRPC health), "bundle" (NodeService.GetTrustBundle) or "renew".
	Method string `json:"method"`
	Calls  int    `json:"calls"`
}

// Answer is how long the calls of an order took together.
type Answer struct {
	Calls  int   `json:"calls"`
	Micros int64 `json:"micros"`
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	decoder := json.NewDecoder(os.Stdin)
	var setup Setup
	if err := decoder.Decode(&setup); err != nil {
		return err
	}
	callers, err := newCallers(setup)
	if err != nil {
		return err
	}
	output := json.NewEncoder(os.Stdout)
	for decoder.More() {
		var order Order
		if err := decoder.Decode(&order); err != nil {
			return err
		}
		answer, err := run(callers, order)
		if err != nil {
			return err
		}
		if err := output.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

// Caller is a connection with the devices that renew over it, one after the other.
type Caller struct {
	connection  *grpc.ClientConn
	trustDomain string
	devices     []*Device
	next        int
}

func newCallers(setup Setup) ([]*Caller, error) {
	callers := make([]*Caller, setup.Callers)
	for index := range callers {
		connection, err := dial(setup)
		if err != nil {
			return nil, err
		}
		callers[index] = &Caller{connection: connection, trustDomain: setup.TrustDomain}
	}
	for index := range setup.Devices {
		caller := callers[index%len(callers)]
		caller.devices = append(caller.devices, &setup.Devices[index])
	}
	return callers, nil
}

// run lets all callers call at once and waits for all of them; the first error ends the bench.
func run(callers []*Caller, order Order) (Answer, error) {
	each := max(1, order.Calls/len(callers))
	turns := make([]func() error, len(callers))
	for index, caller := range callers {
		turn, err := caller.prepare(order.Method, each)
		if err != nil {
			return Answer{}, err
		}
		turns[index] = turn
	}
	errors := make(chan error, len(turns))
	var group sync.WaitGroup
	start := time.Now()
	for _, turn := range turns {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := turn(); err != nil {
				errors <- err
			}
		}()
	}
	group.Wait()
	took := time.Since(start)
	close(errors)
	if err := <-errors; err != nil {
		return Answer{}, err
	}
	return Answer{Calls: each * len(callers), Micros: took.Microseconds()}, nil
}

// prepare makes what the calls need and returns what makes them.
func (caller *Caller) prepare(method string, calls int) (func() error, error) {
	switch method {
	case "check":
		return caller.repeat(calls, healthCheck), nil
	case "bundle":
		return caller.repeat(calls, getTrustBundle), nil
	case "renew":
		return caller.renewals(calls)
	}
	return nil, fmt.Errorf("there is no method %q", method)
}

func (caller *Caller) repeat(calls int, method string) func() error {
	return func() error {
		for range calls {
			answer, err := caller.call(method, nil)
			if err != nil {
				return err
			}
			if len(answer) == 0 {
				return fmt.Errorf("%s answered nothing", method)
			}
		}
		return nil
	}
}

func (caller *Caller) renewals(calls int) (func() error, error) {
	requests := make([][]byte, calls)
	for index := range requests {
		csr, err := newRequest()
		if err != nil {
			return nil, err
		}
		requests[index] = csr
	}
	return func() error {
		for _, csr := range requests {
			device := caller.devices[caller.next%len(caller.devices)]
			caller.next++
			answer, err := caller.call(renew, device.renewal(caller.trustDomain, csr))
			if err != nil {
				return err
			}
			if err := device.accept(answer); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (caller *Caller) call(method string, request []byte) ([]byte, error) {
	limit, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var answer []byte
	err := caller.connection.Invoke(limit, method, &request, &answer)
	return answer, err
}
