# SPDX-License-Identifier: Apache-2.0
# Compiler flags for every target, by preset.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

option(CVLAN_HARDEN "The hardening flags of a release" OFF)
option(CVLAN_COVERAGE "Count executed lines (gcov)" OFF)
option(CVLAN_FUZZ "Build the fuzzers (clang only)" OFF)
set(CVLAN_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

find_program(CCACHE ccache)
if(CCACHE)
    # What one clone compiled serves every other, wherever it lies.
    set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1)
    if(CVLAN_COVERAGE)
        # Objects and notes of gcov hold the folder they were compiled in; by this name it is the same in every clone.
        list(APPEND CMAKE_CXX_COMPILER_LAUNCHER PWD=/proc/self/cwd)
    endif()
    list(APPEND CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 sees ghosts in inlined library code: std::string at -O2 (-Wrestrict, -Wstringop-*),
    # std::optional and tl::expected (-Wmaybe-uninitialized). GCC bugs 105329, 105562.
    add_compile_options(-Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread
                        -Wno-array-bounds -Wno-dangling-pointer)
endif()

if(CVLAN_SANITIZE)
    add_compile_options(-fsanitize=${CVLAN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${CVLAN_SANITIZE})
endif()
if(CVLAN_COVERAGE)
    # -pthread makes the counters atomic; ccache knows it, and not -fprofile-update. Counts go below
    # $GCOV_PREFIX, which tests/main.cc sets; -fprofile-dir makes ccache forget the folder here too.
    add_compile_options(--coverage -pthread -fprofile-dir=/tmp/cvlan-counts)
    add_link_options(--coverage)
endif()
if(CVLAN_HARDEN)
    # Each is checked on the finished programs by scripts/check-hardening.
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS -fstack-protector-strong
        -fstack-clash-protection -fcf-protection=full -fPIE -ftrivial-auto-var-init=zero
        -fzero-call-used-regs=used-gpr -fno-delete-null-pointer-checks -fno-strict-overflow
        -fno-strict-aliasing -fvisibility=hidden -Wtrampolines -Wbidi-chars=any
        -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
    add_link_options(-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen -Wl,-z,separate-code
        -Wl,--as-needed -Wl,--no-copy-dt-needed-entries)
    if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
        # Every object of ours carries the CET notes; glibc's three start files (Scrt1.o, crti.o, crtn.o) of
        # Debian 12 do not, and without this the linker would drop the notes of all.
        add_link_options(-Wl,-z,ibt,-z,shstk)
    endif()
endif()
