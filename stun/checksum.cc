// SPDX-License-Identifier: Apache-2.0
#include "stun/checksum.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cassert>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace cvlan::stun {

namespace {

// OpenSSL fails here when there is no memory alone.
void must(bool is_good) {
    if (!is_good) std::abort();
}

// One thread's HMAC. Fetching the algorithm and making a context cost more than a short sum, so
// both are kept: the former for good, the latter with its thread. It wipes its last key when it
// goes.
class Hmac {
public:
    explicit Hmac(const char* digest) {
        static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
        must(algorithm != nullptr);
        context_.reset(EVP_MAC_CTX_new(algorithm));
        must(context_ != nullptr);
        std::array<OSSL_PARAM, 2> parameters{
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(digest), 0),
            OSSL_PARAM_construct_end()};
        must(EVP_MAC_CTX_set_params(context_.get(), parameters.data()) == 1);
    }

    template <size_t N>
    std::array<uint8_t, N> sum(ByteView key, ByteView first, ByteView second) {
        // A null key would mean the one before.
        assert(!key.empty());
        must(EVP_MAC_init(context_.get(), key.data(), key.size(), nullptr) == 1);
        must(EVP_MAC_update(context_.get(), first.data(), first.size()) == 1);
        must(EVP_MAC_update(context_.get(), second.data(), second.size()) == 1);
        std::array<uint8_t, N> mac;
        size_t size = 0;
        must(EVP_MAC_final(context_.get(), mac.data(), &size, N) == 1 && size == N);
        return mac;
    }

private:
    struct Free {
        void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
    };
    std::unique_ptr<EVP_MAC_CTX, Free> context_;
};

// The header as it is summed: its length ends with the attribute, whatever follows that.
std::array<uint8_t, kHeaderSize> header_until(ByteView message, size_t end) {
    std::array<uint8_t, kHeaderSize> header;
    std::memcpy(header.data(), message.data(), kHeaderSize);
    header[2] = static_cast<uint8_t>((end - kHeaderSize) >> 8);
    header[3] = static_cast<uint8_t>(end - kHeaderSize);
    return header;
}

// Eight bytes a step: table[k][b] is the CRC of byte b with k zero bytes behind it.
using CrcTables = std::array<std::array<uint32_t, 256>, 8>;
constexpr CrcTables make_crc_tables() {
    CrcTables tables{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
        tables[0][byte] = crc;
    }
    for (size_t k = 1; k < 8; ++k)
        for (size_t byte = 0; byte < 256; ++byte)
            tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xFF];
    return tables;
}

uint32_t crc32(ByteView bytes) {
    static constexpr CrcTables kTables = make_crc_tables();
    uint32_t crc = 0xFFFFFFFF;
    while (bytes.size() >= 8) {
        uint32_t next = 0;
        for (size_t i = 0; i < 4; ++i) next ^= kTables[7 - i][(bytes[i] ^ (crc >> (8 * i))) & 0xFF];
        for (size_t i = 4; i < 8; ++i) next ^= kTables[7 - i][bytes[i]];
        crc = next;
        bytes = bytes.subspan(8);
    }
    for (const uint8_t byte : bytes) crc = (crc >> 8) ^ kTables[0][(crc ^ byte) & 0xFF];
    return ~crc;
}

}  // namespace

std::array<uint8_t, kSha1Size> integrity_sha1(ByteView message, size_t at, ByteView key) {
    thread_local Hmac hmac("SHA1");
    return hmac.sum<kSha1Size>(key, header_until(message, at + 4 + kSha1Size),
                               message.subspan(kHeaderSize, at - kHeaderSize));
}

std::array<uint8_t, kSha256Size> integrity_sha256(ByteView message, size_t at, size_t size,
                                                  ByteView key) {
    thread_local Hmac hmac("SHA256");
    return hmac.sum<kSha256Size>(key, header_until(message, at + 4 + size),
                                 message.subspan(kHeaderSize, at - kHeaderSize));
}

uint32_t fingerprint(ByteView before) { return crc32(before) ^ 0x5354554E; }

}  // namespace cvlan::stun
