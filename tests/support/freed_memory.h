// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tells whether memory was given back with a secret still in it. Replaces the program's operator
// new and delete, so exactly one source of a test program includes this.

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

namespace cvlan::test {

// While it lives, counts the blocks that are freed with `secret` inside. One at a time.
class FreedMemory {
public:
    explicit FreedMemory(std::string secret) : secret_(std::move(secret)) { watching_ = this; }
    FreedMemory(const FreedMemory&) = delete;
    ~FreedMemory() { watching_ = nullptr; }

    int leaks() const { return leaks_; }

    static void freed(void* block) {
        FreedMemory* self = watching_;
        if (!self || !block) return;
        const std::string_view bytes(static_cast<const char*>(block), malloc_usable_size(block));
        if (bytes.find(self->secret_) != std::string_view::npos) ++self->leaks_;
    }

private:
    std::string secret_;
    std::atomic<int> leaks_{0};
    static inline std::atomic<FreedMemory*> watching_{nullptr};
};

}  // namespace cvlan::test

// Not inlined: g++ would pair a malloc with an operator delete, and warn.
[[gnu::noinline]] void* operator new(size_t size) {
    if (void* block = std::malloc(size ? size : 1)) return block;
    throw std::bad_alloc();
}
// std::stable_sort asks like this; AddressSanitizer's own would not go with our delete.
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
    return std::malloc(size ? size : 1);
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
    cvlan::test::FreedMemory::freed(block);
    std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, size_t) noexcept {
    cvlan::test::FreedMemory::freed(block);
    std::free(block);
}
