// SPDX-License-Identifier: Apache-2.0
#include "stun/message.h"

#include <openssl/crypto.h>
#include <sys/random.h>

#include <algorithm>
#include <cstdlib>

#include "stun/attribute_reader.h"
#include "stun/checksum.h"

namespace cvlan::stun {

TransactionId random_transaction() {
    TransactionId transaction;
    // Up to 256 bytes come at once and are not interrupted (getrandom(2)).
    if (getrandom(transaction.data(), transaction.size(), 0) !=
        static_cast<ssize_t>(transaction.size()))
        std::abort();
    return transaction;
}

// Reads the attributes of one datagram into a message.
class Parser {
public:
    explicit Parser(ByteView datagram) : reader_(datagram) {
        message_.datagram_ = datagram;
        const uint16_t type = read_u16(datagram);
        message_.class_ = static_cast<Class>((type >> 4 & 1) | (type >> 7 & 2));
        message_.method_ =
            static_cast<Method>((type & 0xF) | (type >> 1 & 0x70) | (type >> 2 & 0xF80));
        std::copy_n(datagram.begin() + 8, message_.transaction_.size(),
                    message_.transaction_.begin());
    }

    Result<Message> run() {
        while (reader_.next()) take();
        if (reader_.fault())
            return fail(Code::Malformed, "stun: attribute {:#06x}: {}", reader_.type(),
                        reader_.fault());
        return message_;
    }

private:
    // What follows an integrity is not covered by it and does not count, the stronger integrity
    // and the fingerprint aside.
    void take() {
        const Type type{reader_.type()};
        if (type == Type::Fingerprint) return take_fingerprint();
        if (message_.sha256_at_ != 0) return;
        if (type == Type::MessageIntegritySha256) return take_sha256();
        if (message_.sha1_at_ != 0) return;
        if (type == Type::MessageIntegrity) return take_sha1();
        take_plain(type);
    }

    void take_plain(Type type) {
        Message& m = message_;
        switch (type) {
            case Type::XorMappedAddress:
                if (auto mapped = reader_.xor_endpoint(); !m.xor_mapped_) m.xor_mapped_ = mapped;
                break;
            case Type::MappedAddress:
                if (auto mapped = reader_.endpoint(); !m.mapped_) m.mapped_ = mapped;
                break;
            case Type::Username:
                if (auto name = reader_.text(508); !m.username_) m.username_ = name;
                break;
            case Type::Nonce:
                if (auto nonce = reader_.text(763); !m.nonce_) m.nonce_ = nonce;
                break;
            case Type::Software:
                if (auto name = reader_.text(763); !m.software_) m.software_ = name;
                break;
            case Type::ErrorCode:
                if (auto error = reader_.error_code(); !m.error_code_) m.error_code_ = error;
                break;
            case Type::UnknownAttributes:
                if (m.refused_.empty()) reader_.types(m.refused_);
                break;
            case Type::Priority:
                break;
            default:
                if (reader_.type() < 0x8000) m.unknown_.add(reader_.type());
        }
    }

    void take_sha1() {
        if (reader_.value().size() != kSha1Size)
            reader_.stop("wrong size");
        else
            message_.sha1_at_ = reader_.at();
    }

    // Section 14.6: may be cut to 16 bytes, in steps of 4.
    void take_sha256() {
        const size_t size = reader_.value().size();
        if (size < 16 || size > kSha256Size || size % 4 != 0) {
            reader_.stop("wrong size");
            return;
        }
        message_.sha256_at_ = reader_.at();
        message_.sha256_size_ = size;
    }

    void take_fingerprint() {
        const uint32_t claimed = reader_.u32();
        if (!reader_.is_last())
            reader_.stop("not the last");
        else if (claimed != fingerprint(message_.datagram_.first(reader_.at())))
            reader_.stop("wrong");
        else
            message_.has_fingerprint_ = true;
    }

    AttributeReader reader_;
    Message message_;
};

bool Message::looks_like_one(ByteView datagram) {
    if (datagram.size() < kHeaderSize || (datagram[0] & 0xC0) != 0) return false;
    const uint32_t cookie =
        uint32_t{read_u16(datagram.subspan(4))} << 16 | read_u16(datagram.subspan(6));
    const size_t length = read_u16(datagram.subspan(2));
    return cookie == kMagicCookie && length % 4 == 0 && length == datagram.size() - kHeaderSize;
}

Result<Message> Message::parse(ByteView datagram) {
    if (!looks_like_one(datagram)) return fail(Code::Malformed, "stun: not a message");
    return Parser(datagram).run();
}

bool Message::is_authentic(ByteView key, size_t least) const {
    if (key.empty() || sha256_at_ == 0 || sha256_size_ < least) return false;
    const auto right = integrity_sha256(datagram_, sha256_at_, sha256_size_, key);
    return CRYPTO_memcmp(right.data(), datagram_.data() + sha256_at_ + 4, sha256_size_) == 0;
}

bool Message::is_authentic_sha1(ByteView key) const {
    if (key.empty() || sha1_at_ == 0) return false;
    const auto right = integrity_sha1(datagram_, sha1_at_, key);
    return CRYPTO_memcmp(right.data(), datagram_.data() + sha1_at_ + 4, kSha1Size) == 0;
}

}  // namespace cvlan::stun
