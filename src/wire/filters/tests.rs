use super::*;
use crate::id::TableId;
use crate::wire::table_spec::BlockProx;

fn table(dtype: DType, update: UpdateFunction) -> TableSpec {
    TableSpec {
        id: TableId(0),
        name: "weights".to_owned(),
        dtype,
        width: 1,
        key_end: 100,
        layout: Layout::Sparse,
        update,
        consistency: Consistency::Eventual,
        filters: Filters::default(),
    }
}

#[test]
fn what_is_displayed_can_be_typed_in_any_order() {
    for text in [
        "none",
        "key_cache,pack_keys,nonzero,snappy,fixed_point:8,random_skip:0.1",
        "bf16",
        "fixed_point:16",
        "kkt:0.5,significant:0.25,bf16",
        "own:mine",
        "own:mine:-3",
        "significant:0",
        "key_cache,nonzero,changed",
        "key_cache,nonzero,own_pull:mine:2,changed:0.5",
        "own_pull:mine",
    ] {
        assert_eq!(text.parse::<Filters>().expect("good names").to_string(), text);
    }
    let typed: Filters =
        "snappy, random_skip:0.1, fixed_point:8,nonzero ,pack_keys,key_cache".parse().expect("good names");
    assert_eq!(typed.to_string(), "key_cache,pack_keys,nonzero,snappy,fixed_point:8,random_skip:0.1");
}

#[test]
fn a_bad_name_is_told_the_good_ones() {
    for name in [
        "gzip",
        "",
        "fixed_point",
        "fixed_point:9",
        "bf16:1",
        "random_skip",
        "random_skip:x",
        "snappy,none",
        "significant",
        "significant:x",
        "kkt",
        "kkt:x",
        "own",
        "own:",
        "own:a b",
        "own:a:x",
        "changed:",
        "changed:x",
        "own_pull",
        "own_pull:",
        "own_pull:a b",
        "own:a_name_that_is_far_too_long_for_one",
    ] {
        let message = name.parse::<Filters>().expect_err(name).to_string();
        assert!(message.starts_with("unknown filter `") && message.contains(NAMES), "{message}");
    }
    let message = "bf16,fixed_point:8".parse::<Filters>().expect_err("both round").to_string();
    assert_eq!(message, "filter `fixed_point:8` cannot stand beside `bf16`: name one of them, once");
    assert!("snappy,snappy".parse::<Filters>().is_err());
}

#[test]
fn filters_that_do_not_go_with_their_table_say_why() {
    let check = |text: &str, dtype, update| {
        let filters: Filters = text.parse().expect("good names");
        filters.check(&table(dtype, update)).map_err(|error| error.to_string())
    };
    let all = "key_cache,pack_keys,nonzero,snappy,fixed_point:8,random_skip:0.1";
    assert_eq!(check(all, DType::F32, UpdateFunction::Sum), Ok(()));
    assert_eq!(check("key_cache,pack_keys,nonzero,snappy", DType::I64, UpdateFunction::Assign), Ok(()));
    let of_doubles = check("bf16", DType::F64, UpdateFunction::Sum);
    assert_eq!(of_doubles, Err("table `weights`: filter bf16: it rounds f32, the table holds f64".to_owned()));
    assert!(check("fixed_point:16", DType::F32, UpdateFunction::Assign).is_err());
    assert!(check("random_skip:0.5", DType::F32, UpdateFunction::Assign).is_err());
    assert!(check("significant:0.5", DType::F32, UpdateFunction::Assign).is_err());
    assert!(check("kkt:0.5", DType::F64, UpdateFunction::Assign).is_err());
    let blocks = UpdateFunction::BlockProx(BlockProx { l1: 1.0, l2: 0.0 });
    for filters in ["kkt:0.5", "significant:0.5", "random_skip:0.5"] {
        assert!(check(filters, DType::F64, blocks).is_err(), "{filters}");
    }
    assert!(check("own:mine", DType::I64, UpdateFunction::Sum).is_err());
    assert!(check("significant:0.5", DType::Bf16, UpdateFunction::Sum).is_err());
    assert_eq!(check("significant:3", DType::I64, UpdateFunction::Sum), Ok(()));
    for threshold in ["-1", "NaN", "inf"] {
        assert!(check(&format!("significant:{threshold}"), DType::F32, UpdateFunction::Sum).is_err(), "{threshold}");
    }
    for share in ["0", "1", "-0.5", "NaN", "inf"] {
        assert!(check(&format!("random_skip:{share}"), DType::F32, UpdateFunction::Sum).is_err(), "{share}");
    }
}

#[test]
fn filters_of_answers_that_do_not_go_with_their_table_say_why() {
    let check = |text: &str, change: fn(&mut TableSpec)| {
        let mut spec = table(DType::F32, UpdateFunction::Sum);
        change(&mut spec);
        text.parse::<Filters>().expect("good names").check(&spec).map_err(|error| error.to_string())
    };
    let (exact, near) = ("key_cache,nonzero,changed", "key_cache,nonzero,changed:0.5");
    for filters in [exact, near, "key_cache,nonzero,own_pull:mine,changed:1"] {
        assert_eq!(check(filters, |_| {}), Ok(()), "{filters}");
    }
    assert_eq!(check(near, |spec| spec.dtype = DType::Bf16), Ok(()));
    assert_eq!(check(exact, |spec| spec.consistency = Consistency::Sequential), Ok(()));
    let words = |filters, change| check(filters, change).expect_err(filters);
    let sequential = words(near, |spec| spec.consistency = Consistency::Sequential);
    assert!(sequential.starts_with("table `weights`: filter changed: answers of a sequential table"), "{sequential}");
    let unkept = words("nonzero,changed", |_| {});
    assert!(unkept.ends_with("name key_cache and nonzero beside it"), "{unkept}");
    assert!(check("key_cache,changed", |_| {}).is_err());
    let dense = words(exact, |spec| spec.layout = Layout::Dense);
    assert!(dense.contains("make it sparse"), "{dense}");
    let integers = words("key_cache,nonzero,own_pull:mine", |spec| spec.dtype = DType::I64);
    assert!(integers.contains("filter own_pull: it is given f32 or f64"), "{integers}");
    let blocks = UpdateFunction::BlockProx(BlockProx { l1: 1.0, l2: 0.0 });
    let block_table = |filters: &str| {
        let spec = TableSpec { width: 2, ..table(DType::F64, blocks) };
        filters.parse::<Filters>().expect("good names").check(&spec)
    };
    assert!(block_table(exact).is_ok() && block_table(near).is_err());
    assert!(check("key_cache,nonzero,changed:-1", |_| {}).is_err());
}
