// Package walrus keeps blobs available on a network in which nodes are assumed to
// fail. The code lives in the packages below; layers_test.go is the map of the house.
package walrus
