package redstuff

// The field of codec 1 is GF(2^8) modulo x^8+x^4+x^3+x^2+1, the generator is 2.
const (
	fieldPolynomial = 0x11d
	fieldOrder      = 255 // of the multiplicative group
)

var fieldExp, fieldLog = fieldTables()

func fieldTables() (exp [2 * fieldOrder]byte, log [256]int) {
	x := 1
	for i := range fieldOrder {
		exp[i], exp[i+fieldOrder] = byte(x), byte(x)
		log[x] = i
		x <<= 1
		if x > 255 {
			x ^= fieldPolynomial
		}
	}
	return exp, log
}

// lagrange gives the coefficients that turn the values of a codeword at the
// positions at into its values at the positions want: out[w] = sum over i of
// row[w][i] * in[i].
//
// A codeword of codec 1 is a polynomial of degree below k, and its symbol i is the
// polynomial's value at the field element i; so any k symbols give any other in
// one step, without inverting a matrix, and there is nothing to cache between
// erasure patterns.
func lagrange(at, want []int) [][]byte {
	weights := make([]int, len(at)) // logs of 1 / product of (at[i]-at[j])
	for i, a := range at {
		sum := 0
		for j, b := range at {
			if j != i {
				sum += fieldLog[a^b]
			}
		}
		weights[i] = fieldOrder - sum%fieldOrder
	}
	rows := make([][]byte, len(want))
	for w, x := range want {
		rows[w] = lagrangeRow(at, weights, x)
	}
	return rows
}

func lagrangeRow(at, weights []int, x int) []byte {
	row := make([]byte, len(at))
	numerator := 0
	for i, a := range at {
		if a == x {
			row[i] = 1
			return row
		}
		numerator += fieldLog[x^a]
	}
	for i, a := range at {
		row[i] = fieldExp[(numerator+fieldOrder-fieldLog[x^a]+weights[i])%fieldOrder]
	}
	return row
}
