package gateway

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/walrus-network/walrus/token"
)

// metrics are the figures of /metrics, and what was spent in the last day.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	sent     *prometheus.CounterVec
	blobs    prometheus.Counter
	bytes    prometheus.Counter
	spent    prometheus.Counter

	mu    sync.Mutex // guards hours
	hours map[int64]token.Amount
}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), hours: map[int64]token.Amount{}}
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "walrus_gateway_requests_total", Help: "Requests, by route, method and class of answer."}, []string{"route", "method", "code"})
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "walrus_gateway_request_seconds", Help: "Time from a request's header to the end of its answer.",
		Buckets: []float64{.005, .02, .1, .5, 2, 10, 60, 600}}, []string{"route"})
	m.sent = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "walrus_gateway_sent_bytes_total", Help: "Bytes of answers, by route."}, []string{"route"})
	m.blobs = prometheus.NewCounter(prometheus.CounterOpts{Name: "walrus_gateway_stored_blobs_total", Help: "Stores that were certified."})
	m.bytes = prometheus.NewCounter(prometheus.CounterOpts{Name: "walrus_gateway_stored_bytes_total", Help: "Bytes of bodies that were certified."})
	m.spent = prometheus.NewCounter(prometheus.CounterOpts{Name: "walrus_gateway_spent_wal_total", Help: "WAL paid for stores, allowances included."})
	gauge := func(name, help string, of func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, of)
	}
	m.registry.MustRegister(m.requests, m.seconds, m.sent, m.blobs, m.bytes, m.spent,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("walrus_gateway_cache_bytes", "Bytes in the cache.", func() float64 { return float64(s.o.Reader.Stats().CacheBytes) }),
		gauge("walrus_gateway_cache_hits", "Pieces that came from the cache.", func() float64 { return float64(s.o.Reader.Stats().Hits) }),
		gauge("walrus_gateway_cache_misses", "Pieces that were fetched.", func() float64 { return float64(s.o.Reader.Stats().Misses) }),
		gauge("walrus_gateway_challenge_waits", "Reads that waited for a challenge to end.", func() float64 { return float64(s.o.Reader.Stats().Waits) }),
		gauge("walrus_gateway_reads", "Reads under way.", func() float64 { return float64(len(s.reads)) }))
	if s.o.Spool != nil {
		m.registry.MustRegister(gauge("walrus_gateway_spool_bytes", "Bytes of bodies that are being stored.", func() float64 { return float64(s.o.Spool.Used()) }))
	}
	return m
}

// classes are the first digits of answers' codes.
var classes = [...]string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"}

// methods keep what a stranger names out of the labels.
var methods = map[string]bool{"GET": true, "HEAD": true, "PUT": true, "POST": true, "PATCH": true, "DELETE": true, "OPTIONS": true}

func (m *metrics) count(route, method string, r *recorder, took time.Duration) {
	if !methods[method] {
		method = "other"
	}
	m.requests.WithLabelValues(route, method, classes[min(r.code/100, len(classes)-1)]).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
	m.sent.WithLabelValues(route).Add(float64(r.bytes))
}

func (m *metrics) stored(size int64, paid token.Amount) {
	m.blobs.Inc()
	m.bytes.Add(float64(size))
	m.paid(paid)
}

func (m *metrics) paid(paid token.Amount) {
	m.spent.Add(float64(paid) / float64(token.WAL))
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().Unix() / 3600
	m.hours[now] += paid
	for hour := range m.hours {
		if hour <= now-24 {
			delete(m.hours, hour)
		}
	}
}

// fundsLast is for how many days a balance lasts at the spending of the last day; ok is false
// where nothing was spent.
func (m *metrics) fundsLast(balance token.Amount) (days float64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().Unix() / 3600
	var sum token.Amount
	for hour, paid := range m.hours {
		if hour > now-24 {
			sum += paid
		}
	}
	return float64(balance) / float64(max(sum, 1)), sum > 0
}

func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}
