// SPDX-License-Identifier: Apache-2.0
#include "api/passwords.h"

#include <argon2.h>

#include "base/bytes.h"

namespace cvlan::api {

namespace {

constexpr size_t kSaltBytes = 16;
constexpr size_t kHashBytes = 32;
constexpr const char* kRight = "right";

std::string encoded(const SecretText& password, const PasswordCost& cost) {
    const Bytes salt = random_bytes(kSaltBytes);
    std::string text(
        argon2_encodedlen(cost.passes, cost.memory_kib, 1, kSaltBytes, kHashBytes, Argon2_id),
        '\0');
    const std::string& bytes = password.reveal();
    const int code =
        argon2id_hash_encoded(cost.passes, cost.memory_kib, 1, bytes.data(), bytes.size(),
                              salt.data(), salt.size(), kHashBytes, text.data(), text.size());
    if (code != ARGON2_OK) return {};
    text.resize(text.find('\0'));
    return text;
}

bool is_right(const std::string& hash, const SecretText& password) {
    const std::string& bytes = password.reveal();
    return argon2id_verify(hash.c_str(), bytes.data(), bytes.size()) == ARGON2_OK;
}

}  // namespace

Passwords::Passwords(EventLoop& loop, PasswordCost cost)
    : loop_(loop), cost_(cost), nobodys_(encoded(SecretText(base64(random_bytes(32))), cost)) {}

bool Passwords::hash(SecretText password, std::function<void(std::string)> done, EventLoop* loop) {
    return push({std::move(password), {}, std::move(done), loop});
}

bool Passwords::verify(std::string hash, SecretText password, std::function<void(bool)> done,
                       EventLoop* loop) {
    const bool is_known = !hash.empty();
    return push({std::move(password), is_known ? std::move(hash) : nobodys_,
                 [is_known, done = std::move(done)](const std::string& found) {
                     done(is_known && found == kRight);
                 },
                 loop});
}

bool Passwords::push(Job job) {
    ++*pending_;
    const bool is_taken =
        workers_.run([this, kept = std::make_shared<Job>(std::move(job))] { work(*kept); });
    if (!is_taken) --*pending_;
    return is_taken;
}

void Passwords::work(Job& job) const {
    std::string found;
    if (job.hash.empty())
        found = encoded(job.password, cost_);
    else if (is_right(job.hash, job.password))
        found = kRight;
    EventLoop& loop = job.loop ? *job.loop : loop_;
    loop.post([left = std::weak_ptr(pending_), done = std::move(job.done), found] {
        const auto pending = left.lock();
        if (!pending) return;
        --*pending;
        done(found);
    });
}

}  // namespace cvlan::api
