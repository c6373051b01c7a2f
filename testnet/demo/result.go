package demo

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/testnet"
)

// Result holds the measurements of the demo's steps; a step that was not reached is nil.
type Result struct {
	Nodes        int                 `json:"nodes"`
	Shards       int                 `json:"shards"`
	ReadySeconds float64             `json:"ready_seconds"` // from the start of the program to the first store being possible
	Store        *Store              `json:"store,omitempty"`
	Killed       []int               `json:"killed,omitempty"`
	Degraded     *Store              `json:"store_degraded,omitempty"`
	Read         *Read               `json:"read,omitempty"`
	Heal         *Heal               `json:"heal,omitempty"`
	Check        *testnet.Invariants `json:"check,omitempty"`
	Failed       *FailedStep         `json:"failed,omitempty"`
}

// Store is one blob that was stored.
type Store struct {
	Blob         blob.ID `json:"blob"`
	Bytes        int64   `json:"bytes"`
	EncodedBytes int64   `json:"encoded_bytes,omitempty"`
	Seconds      float64 `json:"seconds"`
	Requests     int64   `json:"requests,omitempty"` // streams opened and transactions sent
}

// Read is the first blob read back.
type Read struct {
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	NodesUp int     `json:"nodes_up"`
}

// Heal is the repair of the network by itself.
type Heal struct {
	OK         bool    `json:"ok"`
	LostBytes  int64   `json:"lost_bytes"`  // fragments that duty named and possession lacked
	MovedBytes int64   `json:"moved_bytes"` // received by repair, framing included
	Seconds    float64 `json:"seconds"`
}

// FailedStep is the step that failed.
type FailedStep struct {
	Step int    `json:"step"`
	Why  string `json:"why"`
}
