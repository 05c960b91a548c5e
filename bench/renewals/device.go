package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Device renews in a chain: each certificate's parent is the one before it.
type Device struct {
	ID string `json:"id"`
	// Ed25519 seed of the identity key; made for the bench and gone with it.
	Seed []byte `json:"seed"`
	// SHA-256 of the newest certificate.
	Parent []byte `json:"parent"`
}

// newRequest is a PKCS#10 request for a new P-256 key, DER.
func newRequest() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

// renewal is an encoded RenewRequest, signed (docs/protocol.md, "Renewal").
func (device *Device) renewal(trustDomain string, csr []byte) []byte {
	statement := enc([]byte("palyra-renew-v2"), []byte(trustDomain), []byte(device.ID), device.Parent, csr)
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(device.Seed), statement)
	var message []byte
	for index, field := range [][]byte{[]byte(device.ID), device.Parent, csr, signature} {
		message = protowire.AppendTag(message, protowire.Number(index+1), protowire.BytesType)
		message = protowire.AppendBytes(message, field)
	}
	return message
}

// accept takes the leaf of an encoded RenewResponse (field 1, the first) for the newest certificate.
func (device *Device) accept(answer []byte) error {
	number, kind, length := protowire.ConsumeTag(answer)
	if length < 0 || number != 1 || kind != protowire.BytesType {
		return errors.New("the answer does not begin with a certificate")
	}
	leaf, length := protowire.ConsumeBytes(answer[length:])
	if length < 0 {
		return protowire.ParseError(length)
	}
	hash := sha256.Sum256(leaf)
	device.Parent = hash[:]
	return nil
}

// enc is the canonical encoding of docs/protocol.md: each field after its length, 8 bytes, little-endian.
func enc(fields ...[]byte) []byte {
	var encoded []byte
	for _, field := range fields {
		encoded = binary.LittleEndian.AppendUint64(encoded, uint64(len(field)))
		encoded = append(encoded, field...)
	}
	return encoded
}
