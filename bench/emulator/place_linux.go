package emulator

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"
)

// Enter lets a process that is about to be started make namespaces, where this one must not:
// it becomes root in a user namespace of its own, which is no more than this user outside.
func Enter(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
}

// newPlace makes a namespace with a thread that stays in it until closed is, and a device.
func newPlace(closed <-chan struct{}, ip netip.Addr) (*place, error) {
	p := &place{work: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine, and no other runs in the namespace
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err != nil {
			err = fmt.Errorf("make a network namespace, which takes root or a user namespace: %w", err)
		} else {
			p.device, err = openDevice(ip)
		}
		made <- err
		if err != nil {
			return
		}
		for {
			select {
			case do := <-p.work:
				do()
			case <-closed:
				return
			}
		}
	}()
	return p, <-made
}

// Numbers of the kernel's interface that package syscall does not name.
const (
	setInterface = 0x400454ca // TUNSETIFF
	plainPackets = 0x1001     // IFF_TUN, IFF_NO_PI
	deviceName   = "far0"
	nameBytes    = 16 // IFNAMSIZ
	requestBytes = 40 // struct ifreq
)

// openDevice makes the host's link in the thread's namespace, with an address, and brings
// it and the loopback interface up.
func openDevice(ip netip.Addr) (device, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	if err := setUp(fd, ip); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

func setUp(fd int, ip netip.Addr) error {
	number := func(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
	flags := func(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }
	address := func(a [4]byte) []byte {
		return append(append(flags(syscall.AF_INET), 0, 0), a[:]...)
	}
	if err := control(fd, setInterface, deviceName, flags(plainPackets)); err != nil {
		return fmt.Errorf("make a tun device: %w", err)
	}
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(s)
	for _, step := range []struct {
		request uintptr
		name    string
		value   []byte
	}{
		{syscall.SIOCSIFADDR, deviceName, address(ip.As4())},
		{syscall.SIOCSIFNETMASK, deviceName, address([4]byte{255, 254, 0, 0})},
		{syscall.SIOCSIFMTU, deviceName, number(mtu)},
		{syscall.SIOCSIFTXQLEN, deviceName, number(deviceQueue)},
		{syscall.SIOCSIFFLAGS, deviceName, flags(syscall.IFF_UP)},
		{syscall.SIOCSIFFLAGS, "lo", flags(syscall.IFF_UP)},
	} {
		if err := control(s, step.request, step.name, step.value); err != nil {
			return fmt.Errorf("set up a tun device: %w", err)
		}
	}
	return nil
}

// deviceQueue is the packets that the device holds until the router reads them: what is
// lost is lost in the router.
const deviceQueue = 10_000

// control asks the kernel about an interface.
func control(fd int, request uintptr, name string, value []byte) error {
	var b [requestBytes]byte
	copy(b[:], name)
	copy(b[nameBytes:], value)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&b))); errno != 0 {
		return errno
	}
	return nil
}
