//! Tests on code as compilers write it.

use super::*;

const ADDRESS: u64 = 0x1000;

fn site(code: &[u8], convention: Convention) -> Site {
    entry(code, ADDRESS, convention)
}

fn at(offset: u64, emulated: bool) -> Site {
    Site {
        address: ADDRESS + offset,
        emulated,
    }
}

#[test]
fn a_push_behind_endbr64_is_taken() {
    // endbr64; push %rbp; mov %rsp,%rbp; ret
    let code = [0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0xc3];
    assert_eq!(site(&code, Convention::C(3)), at(4, true));
}

#[test]
fn a_push_of_a_high_register_is_taken() {
    // push %r14; push %r13
    assert_eq!(
        site(&[0x41, 0x56, 0x41, 0x55], Convention::C(5)),
        at(0, true)
    );
}

#[test]
fn a_branch_before_anything_is_changed_is_taken() {
    // test %rdi,%rdi; je +0x10
    assert_eq!(
        site(&[0x48, 0x85, 0xff, 0x74, 0x10, 0xc3], Convention::C(1)),
        at(3, true)
    );
    // xor %r8d,%r8d; xor %ecx,%ecx; jmp +5: the third argument is the last one that counts.
    let code = [0x45, 0x31, 0xc0, 0x31, 0xc9, 0xe9, 0x05, 0, 0, 0];
    assert_eq!(site(&code, Convention::C(3)), at(5, true));
    assert_eq!(site(&code, Convention::C(4)), at(0, false));
}

#[test]
fn the_entry_is_taken_where_the_stack_moves_first() {
    // sub $0x18,%rsp; test %edx,%edx; js +0x2f
    let code = [0x48, 0x83, 0xec, 0x18, 0x85, 0xd2, 0x78, 0x2f];
    assert_eq!(site(&code, Convention::C(3)), at(0, false));
}

#[test]
fn a_place_to_which_the_function_jumps_back_is_not_taken() {
    // xor %eax,%eax; push %rbx; pop %rbx; jmp to the push
    let code = [0x31, 0xc0, 0x53, 0x5b, 0xeb, 0xfc];
    assert_eq!(site(&code, Convention::C(1)), at(0, false));
}

#[test]
fn behind_gos_stack_check_stands_a_push() {
    // cmp 0x10(%r14),%rsp; jbe +0x20; push %rbp; mov %rsp,%rbp
    let code = [0x49, 0x3b, 0x66, 0x10, 0x76, 0x20, 0x55, 0x48, 0x89, 0xe5];
    assert_eq!(site(&code, Convention::Go), at(6, true));
    assert_eq!(site(&code, Convention::C(3)), at(4, true));
}

#[test]
fn returns_are_found_by_decoding_not_by_bytes() {
    // mov $0xc3,%eax; ret; mov $0xc3c3c3c3,%ecx; ret $8
    let code = [
        0xb8, 0xc3, 0, 0, 0, 0xc3, 0xb9, 0xc3, 0xc3, 0xc3, 0xc3, 0xc2, 8, 0,
    ];
    assert_eq!(
        returns(&code, ADDRESS),
        Some(vec![ADDRESS + 5, ADDRESS + 11])
    );
    assert_eq!(returns(&code[..13], ADDRESS), None, "cut short");
}

#[test]
fn the_inner_function_is_the_first_one_called_with_the_arguments_untouched() {
    // sub $0x18,%rsp; test %edx,%edx; js +5; movslq %edx,%rdx; call +0x10
    let mut code = vec![
        0x48, 0x83, 0xec, 0x18, 0x85, 0xd2, 0x78, 0x05, 0x48, 0x63, 0xd2,
    ];
    let call = [0xe8, 0x10, 0, 0, 0];
    let target = ADDRESS + code.len() as u64 + 5 + 0x10;
    code.extend(call);
    assert_eq!(first_call(&code, ADDRESS), Some(target));
    // mov $0x17,%esi; call
    let changed = [&[0xbe, 0x17, 0, 0, 0][..], &call].concat();
    assert_eq!(first_call(&changed, ADDRESS), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(code: Vec<u8>, address: u32, count in 0usize..9) {
        let address = u64::from(address);
        for convention in [Convention::C(count), Convention::Go] {
            let site = entry(&code, address, convention);
            assert!(site.address >= address && site.address <= address + code.len() as u64);
        }
        returns(&code, address);
        first_call(&code, address);
    }
}
