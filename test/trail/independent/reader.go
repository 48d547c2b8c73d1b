// Reads a C2SP tlog-tiles log with golang.org/x/mod/sumdb: go run reader.go FOLDER VKEY [OLD-CHECKPOINT] [PROOF...]
//
// Checks the signature of the checkpoint, every tile against the root, each entry's place in the tree, consistency with
// an older checkpoint, and tlog-proof files. Prints one JSON object. It knows the formats, and nothing of the library.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type answer struct {
	Valid    bool     `json:"valid"`
	Size     int64    `json:"size"`
	Root     string   `json:"root"`
	Entries  int64    `json:"entries"`
	Receipts []string `json:"receipts"`
	Problem  string   `json:"problem,omitempty"`
}

func main() {
	found := answer{Receipts: []string{}}
	if err := read(os.Args[1], os.Args[2], os.Args[3:], &found); err != nil {
		found.Problem = err.Error()
	}
	found.Valid = found.Problem == ""
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		panic(err)
	}
}

func read(folder, vkey string, rest []string, found *answer) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	head, err := checkpoint(filepath.Join(folder, "checkpoint"), verifier)
	if err != nil {
		return err
	}
	found.Size = head.N
	found.Root = head.Hash.String()
	if head.N == 0 {
		return nil
	}
	hashes := tlog.TileHashReader(head, &tiles{folder: folder})
	root, err := tlog.TreeHash(head.N, hashes)
	if err != nil {
		return err
	}
	if root != head.Hash {
		return errors.New("the root of the tiles is another")
	}
	for first := int64(0); first < head.N; first += 256 {
		entries, err := bundle(folder, first/256, head.N-first)
		if errors.Is(err, os.ErrNotExist) && found.Entries == 0 {
			continue
		}
		if err != nil {
			return err
		}
		for i, entry := range entries {
			proof, err := tlog.ProveRecord(head.N, first+int64(i), hashes)
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(proof, head.N, head.Hash, first+int64(i), tlog.RecordHash(entry)); err != nil {
				return fmt.Errorf("entry %d: %w", first+int64(i), err)
			}
			found.Entries++
		}
	}
	for _, path := range rest {
		if strings.HasSuffix(path, ".tlog-proof") {
			line, err := receipt(path, verifier)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			found.Receipts = append(found.Receipts, line)
			continue
		}
		old, err := checkpoint(path, verifier)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(head.N, old.N, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, head.N, head.Hash, old.N, old.Hash); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func checkpoint(path string, verifier note.Verifier) (tlog.Tree, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	return parseCheckpoint(text, verifier)
}

func parseCheckpoint(text []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("no checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// tiles reads the tiles of a log from its folder.
type tiles struct{ folder string }

func (t *tiles) Height() int { return height }

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		bytes, err := os.ReadFile(filepath.Join(t.folder, tilePath(strconv.Itoa(tile.L), tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		if len(bytes) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("tile of %d bytes", len(bytes))
		}
		found = append(found, bytes)
	}
	return found, nil
}

func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func tilePath(level string, index int64, width int) string {
	name := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		name = fmt.Sprintf("x%03d/%s", index%1000, name)
	}
	if width < 256 {
		name += fmt.Sprintf(".p/%d", width)
	}
	return "tile/" + level + "/" + name
}

func bundle(folder string, index, left int64) ([][]byte, error) {
	width := 256
	if left < 256 {
		width = int(left)
	}
	bytes, err := os.ReadFile(filepath.Join(folder, tilePath("entries", index, width)))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(bytes) > 0 {
		if len(bytes) < 2 || len(bytes)-2 < int(binary.BigEndian.Uint16(bytes)) {
			return nil, errors.New("a bundle ends within an entry")
		}
		end := 2 + int(binary.BigEndian.Uint16(bytes))
		entries = append(entries, bytes[2:end])
		bytes = bytes[end:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("a bundle of %d entries instead of %d", len(entries), width)
	}
	return entries, nil
}

// receipt checks a tlog-proof file and gives the entry, which stands in its extra line.
func receipt(path string, verifier note.Verifier) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	header, signed, isProof := strings.Cut(string(text), "\n\n")
	lines := strings.Split(header, "\n")
	if !isProof || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") {
		return "", errors.New("no proof with an entry")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return "", err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return "", err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return "", err
		}
		proof = append(proof, hash)
	}
	head, err := parseCheckpoint([]byte(signed), verifier)
	if err != nil {
		return "", err
	}
	return string(entry), tlog.CheckRecord(proof, head.N, head.Hash, index, tlog.RecordHash(entry))
}
