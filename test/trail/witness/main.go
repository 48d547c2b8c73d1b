// A witness (c2sp.org/tlog-witness) of one log, on Go's own note and tlog packages, for the tests: it shares no code
// with keytrail. It prints its address, takes requests until its standard input ends, and keeps in -state what it cosigned.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	vkey := flag.String("log", "", "verification key of the log")
	origin := flag.String("origin", "", "origin of the log")
	name := flag.String("name", "", "name of this witness")
	seed := flag.String("seed", "", "its Ed25519 seed, 64 hexadecimal digits")
	state := flag.String("state", "", "file for the last checkpoint cosigned")
	flag.Parse()

	verifier, err := note.NewVerifier(*vkey)
	check(err)
	secret, err := hex.DecodeString(*seed)
	check(err)
	w := &witness{log: verifier, origin: *origin, signer: newCosigner(*name, ed25519.NewKeyFromSeed(secret)), state: *state}
	check(w.load())

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Printf("http://%s %s\n", listener.Addr(), w.signer.vkey)
	http.Handle("/add-checkpoint", w)
	go func() { check(http.Serve(listener, nil)) }()
	io.Copy(io.Discard, os.Stdin)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type witness struct {
	log    note.Verifier
	origin string
	signer *cosigner
	state  string

	mu   sync.Mutex
	last tlog.Tree
}

func (w *witness) load() error {
	text, err := os.ReadFile(w.state)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, w.last, err = parseCheckpoint(string(text))
	return err
}

// store has the checkpoint on the disk before it is cosigned.
func (w *witness) store(text string, tree tlog.Tree) error {
	temporary := w.state + ".tmp"
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Rename(temporary, w.state); err != nil {
		return err
	}
	w.last = tree
	return nil
}

func (w *witness) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		http.Error(response, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, 1<<16))
	if err != nil {
		http.Error(response, "too long", http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, status := w.add(string(body))
	if status == http.StatusConflict {
		response.Header().Set("Content-Type", "text/x.tlog.size")
		response.WriteHeader(status)
		fmt.Fprintf(response, "%d\n", w.last.N)
		return
	}
	response.WriteHeader(status)
	io.WriteString(response, lines)
}

// add answers one request: with signature lines and 200, or with another status.
func (w *witness) add(body string) (string, int) {
	old, proof, signed, err := parseRequest(body)
	if err != nil {
		return "", http.StatusBadRequest
	}
	end := strings.Index(signed, "\n\n")
	if end < 0 {
		return "", http.StatusBadRequest
	}
	origin, tree, err := parseCheckpoint(signed[:end+1])
	if err != nil {
		return "", http.StatusBadRequest
	}
	if origin != w.origin {
		return "", http.StatusNotFound
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(w.log))
	if err != nil {
		return "", http.StatusForbidden
	}
	if old > tree.N {
		return "", http.StatusBadRequest
	}
	if old != w.last.N {
		return "", http.StatusConflict
	}
	if err := consistent(proof, w.last, tree); err != nil {
		return "", http.StatusUnprocessableEntity
	}
	if err := w.store(opened.Text, tree); err != nil {
		return "", http.StatusInternalServerError
	}
	cosigned, err := note.Sign(&note.Note{Text: opened.Text}, w.signer)
	if err != nil {
		return "", http.StatusInternalServerError
	}
	return string(cosigned[len(opened.Text)+1:]), http.StatusOK
}

func consistent(proof tlog.TreeProof, old, tree tlog.Tree) error {
	if old.N == 0 || old.N == tree.N {
		if len(proof) > 0 {
			return errors.New("a proof where none is needed")
		}
		if old.N == tree.N && old.N > 0 && old.Hash != tree.Hash {
			return errors.New("two roots at one size")
		}
		return nil
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

func parseRequest(body string) (old int64, proof tlog.TreeProof, signed string, err error) {
	head, signed, found := strings.Cut(body, "\n\n")
	if !found {
		return 0, nil, "", errors.New("no empty line")
	}
	lines := strings.Split(head, "\n")
	if !strings.HasPrefix(lines[0], "old ") || len(lines) > 64 {
		return 0, nil, "", errors.New("no old size")
	}
	if old, err = parseSize(lines[0][len("old "):]); err != nil {
		return 0, nil, "", err
	}
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return 0, nil, "", err
		}
		proof = append(proof, hash)
	}
	return old, proof, signed, nil
}

func parseCheckpoint(text string) (origin string, tree tlog.Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return "", tree, errors.New("too short")
	}
	if tree.N, err = parseSize(lines[1]); err != nil {
		return "", tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return lines[0], tree, err
}

func parseSize(digits string) (int64, error) {
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != digits {
		return 0, errors.New("not a size")
	}
	return size, nil
}

// cosigner is a note.Signer of cosignatures v1 (c2sp.org/tlog-cosignature).
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
	vkey string
}

func newCosigner(name string, key ed25519.PrivateKey) *cosigner {
	typed := append([]byte{4}, key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	hash := binary.BigEndian.Uint32(sum[:])
	return &cosigner{name, hash, key, fmt.Sprintf("%s+%08x+%s", name, hash, base64.StdEncoding.EncodeToString(typed))}
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Sign(text []byte) ([]byte, error) {
	now := time.Now().Unix()
	message := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", now)), text...)
	return append(binary.BigEndian.AppendUint64(nil, uint64(now)), ed25519.Sign(c.key, message)...), nil
}
