// Asks istiod for what it sends to proxies, and prints it as JSON.
//
// On standard input: a JSON list of proxies, each with the address of an istiod (its plain gRPC port), the node that the proxy
// presents, words of which one must be part of the name of a cluster, virtual host or server name for it to be printed, and
// the names of the listeners and routes wanted. On standard output: a list in the same order; endpoints are those of the
// clusters printed. Words and names keep the answer small, they decide nothing.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	// Every message that a configuration may hold inside another one.
	_ "istio.io/istio/pkg/config/xds"
)

const (
	clusters  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	endpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	listeners = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routes    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// How long one proxy may wait for all its answers.
const patience = 60 * time.Second

// Proxies that ask at a time.
const together = 8

type asked struct {
	Address   string         `json:"address"`
	Node      string         `json:"node"`
	Metadata  map[string]any `json:"metadata"`
	Words     []string       `json:"words"`
	Listeners []string       `json:"listeners"`
	Routes    []string       `json:"routes"`
}

type answer struct {
	Clusters  []json.RawMessage `json:"clusters"`
	Endpoints []json.RawMessage `json:"endpoints"`
	Listeners []json.RawMessage `json:"listeners"`
	Routes    []json.RawMessage `json:"routes"`
}

func main() {
	var proxies []asked
	if err := json.NewDecoder(os.Stdin).Decode(&proxies); err != nil {
		fail(err)
	}
	answers, errs := make([]*answer, len(proxies)), make([]error, len(proxies))
	var group sync.WaitGroup
	slots := make(chan struct{}, together)
	for i, p := range proxies {
		group.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; group.Done() }()
			answers[i], errs[i] = ask(p)
		}()
	}
	group.Wait()
	for i, err := range errs {
		if err != nil {
			fail(fmt.Errorf("%s at %s: %w", proxies[i].Node, proxies[i].Address, err))
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func ask(p asked) (*answer, error) {
	metadata, err := structpb.NewStruct(p.Metadata)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	most := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1 << 30))
	conn, err := grpc.NewClient(p.Address, grpc.WithTransportCredentials(insecure.NewCredentials()), most)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	s := session{stream: stream, node: &core.Node{Id: p.Node, Metadata: metadata}, words: p.Words}
	return s.all(p)
}

type session struct {
	stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	// Told in the first request.
	node  *core.Node
	words []string
}

func (s *session) all(p asked) (*answer, error) {
	out := &answer{}
	var names []string
	err := get(s, clusters, nil, func(c *cluster.Cluster) error {
		if !s.named(c.Name) {
			return nil
		}
		if c.GetType() == cluster.Cluster_EDS {
			names = append(names, c.Name)
		}
		return keep(&out.Clusters, c)
	})
	if err == nil && len(names) > 0 {
		err = get(s, endpoints, names, func(e *endpoint.ClusterLoadAssignment) error { return keep(&out.Endpoints, e) })
	}
	if err == nil {
		err = get(s, listeners, nil, func(l *listener.Listener) error {
			if !among(l.Name, p.Listeners) {
				return nil
			}
			l.FilterChains = filter(l.FilterChains, func(c *listener.FilterChain) bool {
				wanted := c.GetFilterChainMatch().GetServerNames()
				return len(wanted) == 0 || s.named(wanted...)
			})
			return keep(&out.Listeners, l)
		})
	}
	if err == nil && len(p.Routes) > 0 {
		err = get(s, routes, p.Routes, func(r *route.RouteConfiguration) error {
			r.VirtualHosts = filter(r.VirtualHosts, func(h *route.VirtualHost) bool {
				return s.named(h.Name) || s.named(h.Domains...)
			})
			return keep(&out.Routes, r)
		})
	}
	return out, err
}

// get asks for one kind of resource and hands over each of the answer.
func get[M any, P interface {
	*M
	proto.Message
}](s *session, kind string, names []string, each func(P) error) error {
	request := &discovery.DiscoveryRequest{Node: s.node, TypeUrl: kind, ResourceNames: names}
	s.node = nil
	if err := s.stream.Send(request); err != nil {
		return err
	}
	for {
		response, err := s.stream.Recv()
		if err != nil {
			return err
		}
		// What changed meanwhile is pushed too.
		if response.TypeUrl != kind {
			continue
		}
		for _, resource := range response.Resources {
			message := P(new(M))
			if err := resource.UnmarshalTo(message); err != nil {
				return err
			}
			if err := each(message); err != nil {
				return err
			}
		}
		return nil
	}
}

func keep(to *[]json.RawMessage, message proto.Message) error {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	*to = append(*to, text)
	return err
}

func (s *session) named(names ...string) bool {
	for _, name := range names {
		for _, word := range s.words {
			if strings.Contains(name, word) {
				return true
			}
		}
	}
	return false
}

func among(name string, names []string) bool {
	for _, one := range names {
		if one == name {
			return true
		}
	}
	return false
}

func filter[T any](all []T, fits func(T) bool) []T {
	var kept []T
	for _, one := range all {
		if fits(one) {
			kept = append(kept, one)
		}
	}
	return kept
}
